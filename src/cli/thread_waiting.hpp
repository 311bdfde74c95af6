#pragma once
#include <string>

namespace plumb::cli {

/// OpenMP's threads wait for the next parallel loop by spinning, by default for many milliseconds:
/// beside other programs they so hold the cores that the threads they wait for need. GNU's runtime
/// reads the limit only while it is loaded, so this starts the program once more, in the same
/// process, with a limit that costs little on free cores. Does nothing if the user has set
/// GOMP_SPINCOUNT or OMP_WAIT_POLICY.
void limit_spinning(char** arguments);

/// What the threads of this process do, for people: "GOMP_SPINCOUNT=20000".
std::string thread_waiting();

}  // namespace plumb::cli
