# The fuzz targets' program, for Tools/fuzz and Tools/test. Sourced after prepare.sh.

# In a folder of its own: everything in it is compiled for libFuzzer.
readonly fuzz_work=$root/.build/fuzz
readonly fuzz_program=$fuzz_work/release/hanfuzz

# libFuzzer comes with the toolchain and is linked without its `main`, which hanfuzz has itself.
# The flag goes to the compiler's front end alone; the driver would link libFuzzer with its `main`.
need_fuzz() {
    local library
    # swiftly's `swift` stands for many toolchains; the compiler itself says where it is.
    library=$("${swift%swift}swiftc" -print-target-info </dev/null 2>/dev/null |
        sed -n 's/.*"runtimeResourcePath": *"\(.*\)".*/\1/p')
    library=$(compgen -G "$library/clang/lib/linux/libclang_rt.fuzzer_no_main-$(uname -m).a" |
        head -n 1)
    [ -n "$library" ] ||
        fail $EX_UNAVAILABLE "the Swift toolchain has no libFuzzer (libclang_rt.fuzzer_no_main)"
    compile hanfuzz --scratch-path "$fuzz_work" -Xswiftc -Xfrontend -Xswiftc -sanitize=fuzzer \
        -Xlinker -u -Xlinker LLVMFuzzerRunDriver -Xlinker "$library" \
        -Xlinker -lstdc++ -Xlinker -lpthread -Xlinker -lm
}
