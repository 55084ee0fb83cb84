# Reads what `cargo test -- --show-output` prints. Passes on what is worth reading as it comes (programs, results, what was
# skipped and why, which tests failed); what the failed ones printed goes to the file `failures`.
/^ +(Running|Doc-tests) / { program = $0; sub(/^ +/, "", program); sub(/ \(.*/, "", program); say(program); next }
/^test .* \.\.\. FAILED$/ { say($0) }
/^---- .* stdout ----$/ { name = $2 }
/^successes:$/ { in_failures = 0 }
/^failures:$/ { in_failures = 1; print "\n== " program >> failures }
/^test result:/ { in_failures = 0; say($0); next }
/^SKIPPED: / { say("SKIPPED " name ": " substr($0, 10)) }
/^error(\[|:)/ { say($0) }
in_failures { print >> failures }
function say(text) { print "[" stream "] " text; fflush() }
