// test-limit: 3600 s
/** What is tested by the line, by mailbox: breakpoints of every kind, and stepping. */

export {};

process.env['VMKD_TRANSPORT'] = 'mailbox';
await import('../integration/breakpoints.test');
await import('../integration/stepping.test');
