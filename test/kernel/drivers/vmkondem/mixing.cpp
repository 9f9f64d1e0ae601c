/*
 * mixing.cpp: what C++ has and C has not, for a debugger to show: methods, references, templates, overloaded names. No run time
 * of C++ is needed.
 */
extern "C" {
#include "ddk.h"
ULONG VmkOnDemandTurn(ULONG Value);
ULONG VmkOnDemandMix(ULONG Value);
}

namespace vmk {

template <typename T, int Rounds> class Mixer {
public:
  explicit Mixer(T Seed) : State(Seed) {}

  DECLSPEC_NOINLINE T Mix(const T &Value)
  {
    for (int Round = 0; Round < Rounds; Round++) State = VmkOnDemandTurn(State ^ Value);
    return State;
  }

private:
  T State;
};

} // namespace vmk

ULONG VmkOnDemandMix(ULONG Value)
{
  vmk::Mixer<ULONG, 3> Mixer(Value);
  return Mixer.Mix(Value + 1);
}
