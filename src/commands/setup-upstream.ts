import { deployKeyComment, parseDeployKey, type DeployKey } from '../domain/deploy-key';
import { UsageError, UserError } from '../domain/errors';
import { changedHostKeys, knownHostName, type HostKey } from '../domain/host-keys';
import type { Services } from '../domain/ports';
import { parseUpstreamUrl, shownUrl, type SshUrl, type UpstreamUrl } from '../domain/upstream-url';

/** What the command line says of the upstream. */
export interface WantedUpstream {
  url: UpstreamUrl;
  /** Whether the deploy key comes by standard input. */
  keyGiven: boolean;
}

/** What is to be done about the upstream, all of it checked and nothing written. */
export interface UpstreamPlan {
  url: UpstreamUrl;
  /** Undefined over https, which needs none. */
  access?: AccessPlan;
}

interface AccessPlan {
  /** Undefined where one has to be made. */
  key: DeployKey | undefined;
  keyIsStored: boolean;
  /** None where the host showed none. */
  hostKeys: readonly HostKey[];
  hostKeysArePinned: boolean;
  /** Why the host showed none. */
  unseen?: string;
}

/**
 * @param stored the upstream that the pipeline has
 * @returns undefined where nothing is to be done about the upstream
 * @throws UsageError
 */
export function wantedUpstream(
  given: string | undefined,
  keyGiven: boolean,
  stored: string | undefined,
): WantedUpstream | undefined {
  if (given === undefined && !keyGiven) return undefined;
  const text = given ?? stored;
  if (text === undefined) {
    throw new UsageError('a deploy key is for an upstream, and there is none', {
      remedy: 'Add `--upstream URL`.',
    });
  }
  const url = parseUpstreamUrl(text);
  if (keyGiven && url.kind === 'https') {
    throw new UsageError(`${shownUrl(url)} is not reached over ssh: it takes no deploy key`, {
      remedy: 'Leave out --deploy-key, or use the URL for ssh.',
    });
  }
  return { url, keyGiven };
}

/**
 * Reads the given key and looks at the host.
 * @throws UserError where either cannot be accepted; a host that cannot be reached is no error, since it may be later
 */
export async function planUpstream(
  services: Services,
  pipeline: string,
  { url, keyGiven }: WantedUpstream,
): Promise<UpstreamPlan> {
  if (url.kind === 'https') return { url };
  const access = services.upstreamAccess(pipeline);
  const given = keyGiven ? parseDeployKey(await services.readInput()) : undefined;
  const stored = await storedKey(access, given !== undefined);
  const key = given ?? stored;
  const keyIsStored = key !== undefined && key.fingerprint === stored?.fingerprint;
  return { url, access: { key, keyIsStored, ...(await planHostKeys(services, pipeline, url)) } };
}

/** A damaged one may be replaced. */
async function storedKey(
  access: ReturnType<Services['upstreamAccess']>,
  isReplaced: boolean,
): Promise<DeployKey | undefined> {
  try {
    return await access.deployKey();
  } catch (error) {
    if (isReplaced && error instanceof UserError) return undefined;
    throw error;
  }
}

async function planHostKeys(
  { upstreamAccess }: Services,
  pipeline: string,
  { host, port }: SshUrl,
): Promise<Pick<AccessPlan, 'hostKeys' | 'hostKeysArePinned' | 'unseen'>> {
  const access = upstreamAccess(pipeline);
  const name = knownHostName(host, port);
  const pinned = (await access.hostKeys()).filter((key) => key.name === name);
  const hostKeysArePinned = pinned.length > 0;
  let found: HostKey[];
  try {
    found = await access.scan(host, port);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { hostKeys: pinned, hostKeysArePinned, unseen: error.message };
  }
  const changed = changedHostKeys(pinned, found);
  if (changed.length > 0) {
    throw new UserError(`${name} shows another host key than the one that is pinned`, {
      details: changed.map((key) => `${key.type}: pinned ${key.pinned}, shown now ${key.found}`),
      remedy: `Somebody may be in between. Only where its owner says that it was changed: \`dokku flight-launch:set ${pipeline} upstream --unset\` forgets the pinned one; then set up again.`,
    });
  }
  return { hostKeys: hostKeysArePinned ? pinned : found, hostKeysArePinned };
}

/** What `apply` would do, for a dry run. */
export function describeUpstream({ terminal }: Services, { url, access }: UpstreamPlan): void {
  terminal.detail(`store ${shownUrl(url)} as the upstream`);
  if (access === undefined) return;
  const { key, keyIsStored, hostKeys, hostKeysArePinned, unseen } = access;
  if (unseen !== undefined) terminal.detail(`pin no host key: ${unseen}`);
  else {
    for (const { type, fingerprint } of hostKeys) {
      terminal.detail(`${hostKeysArePinned ? 'keep' : 'pin'} the host key ${type} ${fingerprint}`);
    }
  }
  if (key === undefined) terminal.detail('make a deploy key (ed25519)');
  else terminal.detail(`${keyIsStored ? 'keep' : 'store'} the deploy key ${key.type} ${key.fingerprint}`);
}

/** Stores the upstream, and last of all that it is the pipeline's. Runs under the pipeline's lock. */
export async function applyUpstream(
  services: Services,
  pipeline: string,
  { url, access }: UpstreamPlan,
): Promise<void> {
  const { store, terminal } = services;
  const key = access === undefined ? undefined : await storeAccess(services, pipeline, access);
  const current = await store.pipeline(pipeline);
  if (current.settings.upstream !== url.url) {
    await store.savePipeline({ ...current, settings: { ...current.settings, upstream: url.url } });
  }
  terminal.step(`Upstream ${shownUrl(url)}`);
  if (access === undefined || key === undefined) return;
  const pinned = access.hostKeysArePinned
    ? 'pinned before'
    : 'pinned now: compare it with what the host publishes';
  for (const { type, fingerprint } of access.hostKeys) {
    terminal.detail(`host key ${type} ${fingerprint} (${pinned})`);
  }
  const whence = access.key === undefined ? 'made now' : access.keyIsStored ? 'as before' : 'as given';
  terminal.step(`Deploy key ${key.type} ${key.fingerprint} (${whence})`);
  terminal.detail(`${key.publicLine} ${deployKeyComment(pipeline)}`);
  terminal.detail('add this key with write access to the upstream');
  if (access.unseen === undefined) return;
  terminal.warn(`flight-launch: ${access.unseen}`);
  terminal.warn(
    access.hostKeysArePinned
      ? 'What was pinned before stays.'
      : 'No host key is pinned, so nothing can be released yet: run this again once the host can be reached.',
  );
}

async function storeAccess(services: Services, pipeline: string, plan: AccessPlan): Promise<DeployKey> {
  const access = services.upstreamAccess(pipeline);
  if (!plan.hostKeysArePinned) {
    // Those of another host, if any, are of no use any more.
    if (plan.hostKeys.length > 0) await access.pinHostKeys(plan.hostKeys);
    else await access.forgetHostKeys();
  }
  if (plan.key === undefined) return access.makeDeployKey();
  if (!plan.keyIsStored) await access.saveDeployKey(plan.key);
  return plan.key;
}
