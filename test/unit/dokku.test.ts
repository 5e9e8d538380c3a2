import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DokkuHost } from '../../src/adapters/dokku';
import { inScratch } from '../support/scratch';
import { assert, suite } from '../support/suite';

const releasing = suite('whether an app is being released');

/** Whether the app `unit-blog` counts as being released while a program runs, and after it was killed. */
async function whileRunning(program: string, args: readonly string[]): Promise<[boolean, boolean]> {
  return inScratch(async (folder) => {
    const pluginsPath = join(folder, 'enabled');
    const path = join(folder, program);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '#!/bin/sh\necho up\nread -r line\n', { mode: 0o755 });
    const dokku = new DokkuHost({
      dokkuRoot: folder,
      libRoot: folder,
      pluginsPath,
      env: {},
      deployEnv: {},
      sshUser: 'dokku',
      sshName: 'default',
    });
    const child = spawn(path, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const during = await dokku.isReleasing('unit-blog');
    child.kill('SIGKILL');
    await once(child, 'exit');
    return [during, await dokku.isReleasing('unit-blog')];
  });
}

releasing('H22 as long as the trigger of a release or a restart runs, of whichever plugin', async () => {
  const configSet = ['unit-blog', '', 'config-redeploy'];
  assert.equal(await whileRunning('enabled/common/release-and-deploy', configSet), [true, false]);
  assert.equal(await whileRunning('enabled/common/deploy', ['unit-blog', 'latest', 'web']), [true, false]);
});

releasing('not by that of another app, nor by another trigger, nor by a program of that name', async () => {
  for (const [program, ...args] of [
    ['enabled/common/release-and-deploy', 'unit-blog-staging', 'latest', 'deploy'],
    ['enabled/common/deploy', 'other', 'unit-blog'],
    // It goes on for a minute after a release, in the background.
    ['enabled/scheduler-docker-local/scheduler-deploy', 'docker-local', 'unit-blog', 'latest'],
    ['enabled/common/pre-deploy', 'unit-blog'],
    ['bin/deploy', 'unit-blog'],
  ] as const) {
    assert.equal(await whileRunning(program, args), [false, false], program);
  }
});

releasing.run();
