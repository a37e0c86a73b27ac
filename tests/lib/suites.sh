# Functions of tests/run: builds, suites, totals.

SUITES="unit property sim integration crash fuzz"
BUILD_DIR=${BUILD_DIR:-build}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
# libzmq is not instrumented: its own hand-overs between threads look like races.
export TSAN_OPTIONS=${TSAN_OPTIONS:-ignore_noninstrumented_modules=1:halt_on_error=0}

begin_totals() { passed=0 failed=0; }

# build DIR OPTION...: counts as one failure if it does not build.
build() {
        local dir=$1 start=$SECONDS; shift
        if { [ -f "$dir/build.ninja" ] || meson setup "$dir" . "$@" > /dev/null; } && ninja -C "$dir" > "$dir/build.log" 2>&1; then
                echo "built $dir in $((SECONDS - start)) s"
        else
                grep -E 'error|FAILED|warning' "$dir/build.log" 2>/dev/null | head -40
                echo "not ok: $dir does not build (see $dir/build.log)"
                failed=$((failed + 1))
                return 1
        fi
}

# run_suite DIR SUITE [WRAPPER...]: runs one suite, prints its time, adds up its cases.
run_suite() {
        local dir=$1 suite=$2 start=$SECONDS counts
        rm -f "$dir"/meson-logs/testlog*
        meson test -C "$dir" --no-rebuild --suite "$suite" --print-errorlogs > "$dir/test-$suite.log" 2>&1
        if [ ! -s "$dir/meson-logs/testlog.json" ]; then
                echo "suite $suite ($dir): no tests"
                return 0
        fi
        counts=$(python3 tests/lib/totals "$dir") || grep -vE '^ *[0-9]+/[0-9]+ .* OK ' "$dir/test-$suite.log" | tail -n 60
        echo "$counts" | sed '$d'
        set -- $(echo "$counts" | tail -n 1)
        passed=$((passed + $1)) failed=$((failed + $3))
        echo "suite $suite ($dir): $1 passed, $3 failed, $((SECONDS - start)) s"
}

# run_threads DIR: what has threads, under the thread sanitizer; without address randomisation, which it needs.
run_threads() {
        local dir=$1
        if setarch -R true 2>/dev/null; then
                run_suite_under "$dir" "setarch -R"
        else
                run_suite_under "$dir" ""
        fi
}

run_suite_under() {
        local dir=$1 wrapper=$2 start=$SECONDS counts
        rm -f "$dir"/meson-logs/testlog*
        $wrapper meson test -C "$dir" --no-rebuild --suite threads --print-errorlogs > "$dir/test-threads.log" 2>&1
        [ -s "$dir/meson-logs/testlog.json" ] || { echo "suite threads ($dir): no tests"; return 0; }
        counts=$(python3 tests/lib/totals "$dir") || tail -n 60 "$dir/test-threads.log"
        echo "$counts" | sed '$d'
        set -- $(echo "$counts" | tail -n 1)
        passed=$((passed + $1)) failed=$((failed + $3))
        echo "suite threads ($dir): $1 passed, $3 failed, $((SECONDS - start)) s"
}

end_totals() {
        echo "$passed passed, $failed failed"
        [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
