import { execFileSync } from 'node:child_process';
import { sshCommand } from '../../src/adapters/upstream-access';
import { assert, suite } from '../support/suite';

const access = suite('upstream access');

access('the ssh command reaches an upstream by the two files alone', () => {
  assert.is(
    sshCommand({ key: '/data/deploy-key', knownHosts: '/data/known_hosts' }),
    `ssh -F /dev/null -a -x -o 'IdentityFile="/data/deploy-key"' -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes` +
      ' -o PreferredAuthentications=publickey -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no' +
      ` -o StrictHostKeyChecking=yes -o 'UserKnownHostsFile="/data/known_hosts"' -o GlobalKnownHostsFile=/dev/null` +
      ' -o UpdateHostKeys=no -o CheckHostIP=no -o ConnectTimeout=15 -o ServerAliveInterval=15' +
      ' -o ServerAliveCountMax=4 -o LogLevel=ERROR',
  );
});

access('ssh takes the command as it is meant, odd paths included', () => {
  const paths = { key: `/da ta/it's/10%/$HOME/key`, knownHosts: `/da ta/it's/10%/known_hosts` };
  // -G has ssh print what it would do.
  const shown = execFileSync('sh', [
    '-c',
    `${sshCommand({ ...paths, connectTimeout: 7 })} -G git@host`,
  ]).toString();
  const setting = (name: string) =>
    shown
      .split('\n')
      .filter((line) => line.startsWith(`${name} `))
      .map((line) => line.slice(name.length + 1));
  // That of the key is shown before ssh expands it.
  assert.equal(setting('identityfile'), [paths.key.replace('%', '%%')]);
  assert.equal(setting('userknownhostsfile'), [paths.knownHosts]);
  assert.equal(setting('batchmode'), ['yes']);
  assert.equal(setting('stricthostkeychecking'), ['true']);
  assert.equal(setting('connecttimeout'), ['7']);
  assert.equal(setting('user'), ['git']);
});

access.run();
