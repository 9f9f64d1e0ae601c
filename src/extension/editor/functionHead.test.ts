import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { functionHead } from './functionHead';

/** From the line with “here”, that with “head” must be found: none, if there is none. */
function finds(source: string): void {
  const lines = source.split('\n');
  const head = lines.findIndex((line) => line.includes('// head'));
  const here = lines.findIndex((line) => /\/\/.*\bhere/.test(line));
  const found = functionHead((line) => lines[line]!, here, 0);
  assert.equal(found, head < 0 ? undefined : head, source);
}

void describe('the head of a function', () => {
  void it('is found in C, however it is laid out', () => {
    finds(`int Before(int Other) { return Other; }
ULONG Work(ULONG Value) // head
{
  Value++; // here`);
    finds(`VOID Before(VOID)
{
}
NTSTATUS
Work( // head
    _In_ ULONG Value
    )
{
  if (Value) {
    Value++;
  } else { // here`);
    finds(`void Work(int a) { // head
  LIST_FOR_EACH(x) {
    x('{', "}"); // here`);
    finds(`int Other(int a) { return a; }
struct Node *Make(int a) { return a; } // head, and here`);
    finds(`#ifdef A
void Twice(int a) {
#else
void Twice(long a) {
#endif
}
void Work(int a) { // head
  for (;;) {
    a(); // here
  }
}`);
  });

  void it('is found from the brace that ends it', () => {
    finds(`void Work(int a) { // head
  if (a) {
  }
} // here`);
  });

  void it('is found inside of classes and namespaces', () => {
    finds(`namespace a {
class Mixer : public Base {
 public:
  int Other() { return 1; }
  int Mix(int value) const { // head
    return value; // here
  }`);
    finds(`struct Mixer {
  explicit Mixer(int value) // head
      : value_(value), other_(1) {
    use(value); // here`);
    finds(`extern "C" {
  auto Mix(int value) noexcept -> int { // head
    auto add = [&](int more) {
      return value + more; // here`);
  });

  void it('is found in Rust', () => {
    finds(`impl<F: Fn(u32)> Mixer for Other<F> {
    pub fn new() -> Self { Self { a: 1 } }

    pub fn mix<'a>(&'a self, // head
                   value: u32) -> u32 {
        let x = match value {
            1 => { 2 }
            _ => loop { // here`);
    finds(`fn mix<T>(value: T) -> u32 // head
where
    T: Copy,
{
    value.take(); // here`);
    finds(`fn outer(a: u32) {
    fn inner(b: u32) { // head
        b.take(); // here`);
  });

  void it('is none of what is in no function', () => {
    finds(`int Before(int Other) { return Other; }
static const int Table[] = {
  1, // here`);
    finds(`struct Node {
  int a; // here`);
    finds(`mod tests {
    use super::*; // here`);
  });
});
