/*
 * paged.c: code and data in PAGE sections: not present until touched, and again after the console's `trim`.
 */
#include "shapes.h"

ULONG VmkPagedCalls;

__attribute__((section("PAGEDATA"))) static ULONG Factors[] = {3, 5, 7, 11};

__attribute__((section("PAGE"))) ULONG VmkDemoPaged(ULONG Value)
{
  ULONG Product = 1;
  VmkPagedCalls++;
  for (ULONG I = 0; I < RTL_NUMBER_OF(Factors); I++) Product *= Factors[I] + Value;
  Factors[0] = 3;
  return Product;
}
