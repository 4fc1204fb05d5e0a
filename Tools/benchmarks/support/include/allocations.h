#pragma once
#include <stdint.h>

// Counts the heap allocations of the program that this is linked into, those of the Swift
// runtime and of libcrypto included. For one thread.

// Begins at zero.
void allocations_start(void);
// How many there have been since then. Stops counting.
uint64_t allocations_stop(void);
