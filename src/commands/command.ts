import type { ExitStatus } from '../domain/errors';
import type { Services } from '../domain/ports';

/** A verb of `flight-launch:<verb>`. */
export interface Command {
  /** `promote [--build BUILD]`: without the plugin's name. No commas: Dokku's help uses them as column separator. */
  usage: string;
  /** One line, without commas. */
  about: string;
  /** Further lines of `flight-launch:help VERB`. */
  help?: readonly string[];
  /** @returns the exit status, undefined for done */
  run(services: Services, args: readonly string[]): Promise<ExitStatus | undefined>;
}
