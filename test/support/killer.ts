import { setTimeout as sleep } from 'node:timers/promises';
import type { Result, TestHost } from './host';

/**
 * Watches for the next job of a pipeline and kills its process (SIGKILL) as soon as a condition is met.
 * @param condition in shell, in the folder of the jobs; `$job` is the job's id
 * @param pid where not the process that the job's journal names: shell that prints it, or nothing as long as there is none
 * @returns once it watches; what it did then, `killed PID` or `nothing to kill` after two minutes
 */
export async function killNextJob(
  host: TestHost,
  pipeline: string,
  condition: string,
  pid = `sed -n 's/.*"step":"started","process":{"pid":\\([0-9]*\\).*/\\1/p' "$job/journal.ndjson" | tail -n 1`,
): Promise<{ killed: Promise<Result> }> {
  const folder = `"$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${pipeline}/jobs"`;
  const known = await host.mustAdmin(`mkdir -p ${folder} && ls -A ${folder}`);
  const killed = host.admin(`
    cd ${folder}
    known='${known}'
    end=$(($(date +%s) + 120))
    while [ "$(date +%s)" -lt "$end" ]; do
      for job in *; do
        case "$known" in *"$job"*) continue ;; esac
        { ${condition}; } 2>/dev/null || continue
        pid=$(${pid})
        test -n "$pid" || continue
        kill -9 "$pid"
        echo "killed $pid"
        exit 0
      done
    done
    echo 'nothing to kill'
    exit 1`);
  // ssh is through by then; a job takes longer to be made.
  await sleep(1000);
  return { killed };
}
