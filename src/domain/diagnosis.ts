import { neededDisk, shortage, type DiskRoom } from './disk-room';
import type { Live } from './live';
import type { AccessFile } from './ports';

/** One thing that is wrong, and what mends it. */
export interface Finding {
  /** The host, a pipeline or an app. */
  subject: string;
  problem: string;
  remedy: string;
}

/** An app of a pipeline as it is found. */
export type AppFacts = MissingApp | ExistingApp;

interface MissingApp {
  app: string;
  exists: false;
}

interface ExistingApp {
  app: string;
  exists: true;
  /** Whether pushes to it are taken for the pipeline's. */
  linked: boolean;
  /** Empty where there is none. */
  buildDir: string;
  /** Whether it has a deploy branch of its own (H23). */
  deployBranch: boolean;
  scheduler: string;
  live: Live;
  /** Whether the image of its live build is kept. */
  image: boolean;
}

/**
 * @param freeDisk bytes free for our files
 * @param engine what is free where Docker keeps its data, undefined where that is not known
 */
export function examineHost(freeDisk: number, engine: DiskRoom | undefined): Finding[] {
  const finding = (problem: string): Finding => ({
    subject: 'host',
    problem,
    remedy: 'Free some space; `flight-launch:prune` removes what is no longer needed.',
  });
  if (freeDisk < neededDisk) return [finding('the disk is nearly full')];
  if (shortage(engine) !== undefined) return [finding('the disk where Docker keeps its data is nearly full')];
  return [];
}

/** What would make a push, a promote or a rollback of the pipeline fail or go astray. */
export function examinePipeline(pipeline: string, apps: readonly AppFacts[]): Finding[] {
  const setup = `dokku flight-launch:setup ${pipeline}`;
  const findings = apps.flatMap((facts) => examineApp(facts, setup));
  const [first, second] = apps.filter((facts) => facts.exists);
  if (first !== undefined && second !== undefined && first.buildDir !== second.buildDir) {
    findings.push({
      subject: pipeline,
      problem: `its apps have different build-dirs: ${first.buildDir || 'none'} and ${second.buildDir || 'none'}`,
      remedy: `Run \`${setup} --build-dir DIR\`.`,
    });
  }
  return findings;
}

/** What would keep a release from its upstream, as far as this host has it. */
export function examineUpstream(pipeline: string, files: readonly AccessFile[]): Finding[] {
  const setup = `dokku flight-launch:setup ${pipeline}`;
  const remedies = {
    'deploy-key': {
      missing: `Run \`${setup} --upstream URL\`, which makes another one, and add that upstream.`,
      damaged: `Run \`${setup} --deploy-key < FILE\`.`,
    },
    known_hosts: {
      missing: `Run \`${setup} --upstream URL\`.`,
      damaged: `Run \`dokku flight-launch:set ${pipeline} upstream --unset\`, then \`${setup} --upstream URL\`.`,
    },
  };
  return files.flatMap(({ name, path, state }) => {
    if (state === 'fine') return [];
    if (state === 'exposed') {
      return [
        {
          subject: pipeline,
          problem: `others can get at ${path}`,
          remedy: `Run \`chmod 600 ${path}\` on the host.`,
        },
      ];
    }
    const what =
      name === 'deploy-key' ? 'the deploy key for its upstream' : "the list of its upstream's host keys";
    return [{ subject: pipeline, problem: `${what} is ${state}`, remedy: remedies[name][state] }];
  });
}

function examineApp(facts: AppFacts, setup: string): Finding[] {
  const { app } = facts;
  const found = (problem: string, remedy: string): Finding => ({ subject: app, problem, remedy });
  if (!facts.exists) return [found('the app does not exist', `Run \`${setup}\`.`)];
  const { live } = facts;
  const findings: Finding[] = [];
  if (!facts.linked) findings.push(found('pushes to it deploy without a client', `Run \`${setup}\`.`));
  if (!facts.deployBranch) {
    findings.push(found('it deploys whichever branch is pushed first, having none set', `Run \`${setup}\`.`));
  }
  if (facts.scheduler !== 'docker-local') {
    findings.push(
      found(
        `builds cannot be promoted to or from it: its scheduler is ${facts.scheduler}, whose containers this host does not see`,
        `Run \`dokku scheduler:set ${app} selected docker-local\`.`,
      ),
    );
  }
  if (live.state === 'mixed') {
    findings.push(
      found(
        'its processes run different builds, left by a deploy that stopped half-way',
        'Push or promote a build that passes its checks.',
      ),
    );
  }
  if (live.state === 'build' && !facts.image) {
    findings.push(
      found(
        `the image of its live build ${live.build} is not kept any more`,
        'Push its commit again before you promote it or go back to it.',
      ),
    );
  }
  return findings;
}
