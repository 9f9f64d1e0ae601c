// What a bench is. `npm run -s bench -- NAME` bundles test/bench/NAME.bench.ts, whose default export is a
// Bench, and prints its figures: one JSON object on stdout, a table on stderr.
//
// Invariant: a bench measures the real thing or throws; it never returns a figure that it did not measure.

/** What a figure should be. It is a goal, not a test: a bench that misses one still ends well. */
export type Goal = { readonly atLeast: number } | { readonly atMost: number };

/** One measured number. */
export interface Figure {
  /** Stable name, bench name first, unit last: `kd.uart.read_kb_per_s`. */
  readonly id: string;
  /** In `unit`; finite. */
  readonly value: number;
  /** For people: `KB/s`, `us`, `%`. */
  readonly unit: string;
  readonly goal?: Goal;
}

/** The default export of test/bench/NAME.bench.ts. */
export interface Bench {
  /** Whether it boots the demo kernel: then it is built, and QEMU is there, before `figures` is called. */
  readonly needsKernel: boolean;
  /** Whether it measures native/host: then it and the programs of its tests are built. */
  readonly needsNative?: boolean;
  /** Whether it needs the VS Code of tests: then it is there, and VMKD_VSCODE says where. */
  readonly needsVsCode?: boolean;
  /** Sets of tools that it needs besides, see scripts/bootstrap.mjs: they are there before `figures` is called. */
  readonly tools?: readonly string[];
  /**
   * Measures. Cleans up after itself also when it throws. Progress goes to stderr, nothing to stdout.
   * @param commands Of each set of tools, by what names they were found.
   */
  figures(commands: Readonly<Record<string, readonly string[]>>): Promise<readonly Figure[]>;
}
