// test-limit: 3600 s
/** What is tested by the line, by mailbox: breakpoints of every kind, and stepping. */

export {};

// The tests are imported when this is set, not before.
process.env['VMKD_TRANSPORT'] = 'mailbox';
await import('../integration/breakpoints.test');
await import('../integration/stepping.test');
