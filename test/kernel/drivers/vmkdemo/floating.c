/*
 * floating.c: floating point. The one unit compiled with SSE; it runs on threads only, whose SSE registers the
 * scheduler keeps.
 */
#include "shapes.h"

int _fltused; /* the Microsoft ABI's mark of an image with floating point */

double VmkDemoPi;

static double Term(ULONG Index) { return (Index % 2 ? -4.0 : 4.0) / (2.0 * Index + 1.0); }

/* Leibniz: slow on purpose. */
double VmkDemoFloat(ULONG Terms)
{
  double Sum = 0.0;
  float Rough = 0.0f;
  for (ULONG I = 0; I < Terms; I++) {
    Sum += Term(I);
    Rough = (float)Sum;
  }
  VmkDemoLarge.Matrix[1][2] = Sum;
  VmkDemoLarge.Node.Value.Single = Rough;
  VmkDemoPi = Sum;
  return Sum;
}
