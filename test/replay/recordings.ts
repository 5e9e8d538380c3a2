/** The recordings of a real Dokku in `test/host/transcripts`: see README.md there for the fields. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export interface Call {
  trigger: string;
  args: string[];
  cwd: string;
  user: string;
  stdin: string;
  fd200: boolean;
  wd: string[] | undefined;
  env: Record<string, string>;
  envNames: string[];
}

export interface After {
  exit: number;
  ref: 'same' | 'changed';
  latest: 'same' | 'changed';
  latestIsRunning: boolean;
  latestStage: string;
  running: Record<string, 'old' | 'new'>;
  containerFiles: Record<string, 'old' | 'new'>;
  gitRevIsPushed: boolean;
  lockFile: boolean;
  leftovers: string[];
  build: { kind: string; status: string; source: string; exit_code?: number } | null;
}

export interface Recording {
  scenario: string;
  about: string;
  app: string;
  failing: string[];
  calls: Call[];
  after: After;
}

type RecordedCall = Omit<Call, 'envNames' | 'wd'> & { envNames?: string[]; wd?: string[] };
type RecordedFile = Omit<Recording, 'calls'> & { triggers: RecordedCall[] };

const folder = resolve('test/host/transcripts');

/** All recordings, by the name of the scenario. */
export function readRecordings(): Map<string, Recording> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return new Map(files.map((name) => readRecording(join(folder, name))).map((one) => [one.scenario, one]));
}

function readRecording(file: string): Recording {
  const { triggers, ...rest } = JSON.parse(readFileSync(file, 'utf8')) as RecordedFile;
  let envNames: string[] = [];
  const calls = triggers.map((call) => {
    // Names are left out where they are those of the call before.
    envNames = call.envNames ?? envNames;
    return { ...call, wd: call.wd, envNames };
  });
  return { ...rest, calls };
}
