#include "fuzzing.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>

extern int LLVMFuzzerRunDriver(int *count, char ***arguments, fuzzing_input input)
    __attribute__((weak));

int fuzzing_run(int count, char **arguments, fuzzing_input input) {
    if (LLVMFuzzerRunDriver == NULL) return -1;
    return LLVMFuzzerRunDriver(&count, &arguments, input);
}

void fuzzing_forget_handlers(void) {
    static const int signals[] = {SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGQUIT};
    for (size_t index = 0; index < sizeof signals / sizeof *signals; index++)
        signal(signals[index], SIG_DFL);
    // Whoever started this may have blocked signals, and libFuzzer's watch for hangs is one.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

// glibc's own names for what it does; the definitions of the usual names below take precedence.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

static __thread bool counting;
static __thread ptrdiff_t held, most;

void memory_start(void) {
    held = most = 0;
    counting = true;
}

size_t memory_stop(void) {
    counting = false;
    return (size_t)most;
}

static inline void *taken(void *memory) {
    if (counting && memory != NULL) {
        held += (ptrdiff_t)malloc_usable_size(memory);
        if (held > most) most = held;
    }
    return memory;
}

static inline void given(void *memory) {
    if (counting && memory != NULL) held -= (ptrdiff_t)malloc_usable_size(memory);
}

void *malloc(size_t size) { return taken(__libc_malloc(size)); }

void *calloc(size_t number, size_t size) { return taken(__libc_calloc(number, size)); }

void *realloc(void *old, size_t size) {
    given(old);
    return taken(__libc_realloc(old, size));
}

void free(void *memory) {
    given(memory);
    __libc_free(memory);
}

void *memalign(size_t alignment, size_t size) { return taken(__libc_memalign(alignment, size)); }

void *aligned_alloc(size_t alignment, size_t size) {
    return taken(__libc_memalign(alignment, size));
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
    void *memory = taken(__libc_memalign(alignment, size));
    if (memory == NULL) return ENOMEM;
    *result = memory;
    return 0;
}
