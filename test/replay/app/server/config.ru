# frozen_string_literal: true

# Answers with the stamp of its commit; one that says "bad" fails the check.
stamp = File.read('stamp').strip
run ->(_env) { [stamp.start_with?('bad') ? 500 : 200, { 'content-type' => 'text/plain' }, [stamp]] }
