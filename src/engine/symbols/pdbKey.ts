/** How a PDB is told from all others: its GUID and age, written as symbol stores do. */

/** GUID with Data1 to Data3 in reading order, then the age in hexadecimal without padding; upper case throughout. */
export function pdbKey(guid: Uint8Array, age: number): string {
  return guidText(guid).replace(/[{}-]/g, '') + age.toString(16).toUpperCase();
}

/** `{FB9FB7D5-8AE2-47B9-9889-73DAF157F7AB}` */
export function guidText(guid: Uint8Array): string {
  const order = [3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15];
  const text = order.map((i) => (i < 0 ? '-' : (guid[i] ?? 0).toString(16).padStart(2, '0'))).join('');
  return `{${text.toUpperCase()}}`;
}
