// A bench's figures as text: the JSON object for machines and the table for people. Pure functions.

/** Why these are not figures, or undefined if they are. Figures come from a bench, see test/bench/bench.ts. */
export function figuresComplaint(figures) {
  if (!Array.isArray(figures) || figures.length === 0) return 'it gave no figures';
  const ids = new Set();
  for (const { id, value, unit, goal } of figures) {
    if (typeof id !== 'string' || id === '') return 'a figure has no id';
    if (ids.has(id)) return `the id ${id} is there twice`;
    ids.add(id);
    if (!Number.isFinite(value)) return `${id} is ${value}, not a finite number`;
    if (typeof unit !== 'string') return `${id} has no unit`;
    if (goal !== undefined && !Number.isFinite(goal.atLeast ?? goal.atMost))
      return `${id} has a goal without a number`;
  }
  return undefined;
}

/** 'yes', 'NO', or '' for a figure without a goal. */
export function met({ value, goal }) {
  if (goal === undefined) return '';
  const holds = goal.atLeast === undefined ? value <= goal.atMost : value >= goal.atLeast;
  return holds ? 'yes' : 'NO';
}

/** One line of JSON, without a line end. */
export function figuresJson(bench, figures) {
  return JSON.stringify({
    bench,
    figures: figures.map(({ id, value, unit, goal }) => ({ id, value, unit, ...(goal && { goal }) })),
  });
}

/** An aligned table with a line that counts missed goals. */
export function figuresTable(figures) {
  const rows = figures.map((figure) => [
    figure.id,
    number(figure.value),
    figure.unit,
    goalText(figure.goal),
    met(figure),
  ]);
  const table = [['figure', 'value', 'unit', 'goal', 'met'], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => (column === 1 ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ')
      .trimEnd(),
  );
  const missed = figures.filter((figure) => met(figure) === 'NO').length;
  return [...lines, missed === 0 ? 'all goals met' : `${missed} of the goals missed`, ''].join('\n');
}

function goalText(goal) {
  if (goal === undefined) return '';
  return goal.atLeast === undefined ? `<= ${number(goal.atMost)}` : `>= ${number(goal.atLeast)}`;
}

/** Enough digits to compare, not more. */
function number(value) {
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 3 : 1);
}
