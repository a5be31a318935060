# Checks in shell scripts that count as tests. Sourced, not run. passed, failed, skipped and check say how each ended; checks_done ends the
# script with the line "N passed, N failed, N skipped", and with an error if a check failed.
checks_passed=0 checks_failed=0 checks_skipped=0
passed() { echo "passed: $1"; checks_passed=$((checks_passed + 1)); }
failed() { echo "failed: $1: ${2:-}"; checks_failed=$((checks_failed + 1)); }
skipped() { echo "skipped: $1: $2"; checks_skipped=$((checks_skipped + 1)); }
# check NAME CMD…: passed if the command succeeds; its output is the message if not.
check() {
    local name=$1 output; shift
    if output=$("$@" 2>&1); then passed "$name"; else failed "$name" "$output"; fi
}
checks_done() {
    echo "$checks_passed passed, $checks_failed failed, $checks_skipped skipped"
    [ "$checks_failed" = 0 ]
    exit
}
