#pragma once
#include <stddef.h>
#include <stdint.h>

// What `hanfuzz` needs of C: libFuzzer's entry point, and how much memory an input costs.

// One input for the parser under test. Returns 0.
typedef int (*fuzzing_input)(const uint8_t *bytes, size_t count);

// Hands over to libFuzzer with the arguments of its own command line (the first is the program's
// name). -1 if the program was not linked with libFuzzer; `Tools/fuzz` links it.
int fuzzing_run(int count, char **arguments, fuzzing_input input);

// Leaves what a trap raises to libFuzzer, which writes the input to a file, and not to the Swift
// runtime, which prints a backtrace. Lets every signal through.
void fuzzing_forget_handlers(void);

// Counts the bytes this thread has on the heap, from none.
void memory_start(void);
// The most there were at one time since then. Stops counting.
size_t memory_stop(void);
