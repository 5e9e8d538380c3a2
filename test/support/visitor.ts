import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { get } from './host';
import { assert } from './suite';

const everyMs = 50;
/** A visitor that nobody stops, since a test failed, leaves by itself; a release on a busy host takes minutes. */
const mostRequests = 12_000;
const loopback = /^(127\.|::1$)/;

/** Asks an app on loopback for its page every 50 ms, and remembers each answer that is not a whole page. */
export class Visitor {
  readonly #failures: string[] = [];
  #asked = 0;
  #leaving = false;
  readonly #left: Promise<void>;

  private constructor(url: string, pages: readonly string[]) {
    this.#left = this.#visit(url, pages);
  }

  /**
   * @param url by any name that this machine has: a Dokku without a domain calls an app's host what `hostname -f` says
   * @param pages texts of which every page has to hold one
   */
  static async start(url: string, pages: readonly string[]): Promise<Visitor> {
    const { address } = await lookup(new URL(url).hostname);
    if (!loopback.test(address)) throw new Error(`${url} is not on loopback`);
    return new Visitor(url, pages);
  }

  /** Ends the visit, and fails where a request did. */
  async stopped(): Promise<void> {
    this.#leaving = true;
    await this.#left;
    assert.ok(this.#asked > 0, 'nothing was asked');
    assert.ok(this.#asked < mostRequests, 'the visitor had left before');
    assert.equal(this.#failures, [], `${this.#failures.length} of ${this.#asked} requests failed`);
  }

  async #visit(url: string, pages: readonly string[]): Promise<void> {
    while (!this.#leaving && this.#asked < mostRequests) {
      const at = Date.now();
      this.#asked += 1;
      const failure = await get(url).then(
        ({ status, body }) =>
          status === 200 && pages.some((page) => body.includes(page))
            ? undefined
            : `${status}: ${body.slice(0, 200)}`,
        (error: unknown) => String(error),
      );
      if (failure !== undefined) this.#failures.push(`request ${this.#asked}: ${failure}`);
      await sleep(Math.max(0, everyMs - (Date.now() - at)));
    }
  }
}
