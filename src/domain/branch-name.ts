import { UsageError } from './errors';
import { quoted } from './paths';

const characters = /^[A-Za-z0-9_][A-Za-z0-9_./+@#=-]*$/;

/** The rule of `isBranchName` for people. */
export const branchRule =
  'at most 200 ASCII letters, digits and `_ - . / + @ # =`, beginning with a letter, a digit or `_`, as git allows them in a branch';

/**
 * Whether a text can be the short name of a branch. The rules are those of git-check-ref-format(1) with `--branch`;
 * the list of characters is narrower, so that a name is never an option, a revision or a word of the shell (I70-I74).
 */
export function isBranchName(text: string): boolean {
  return (
    text.length <= 200 &&
    characters.test(text) &&
    text !== 'HEAD' &&
    // With it the name would be taken for a full one, of another branch.
    !text.startsWith('refs/') &&
    !text.endsWith('.') &&
    !text.includes('..') &&
    text.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'))
  );
}

/**
 * @param what the branch's part, such as `--from`
 * @throws UsageError for a text that cannot be the short name of a branch
 */
export function checkBranchName(text: string, what: string): void {
  if (isBranchName(text)) return;
  throw new UsageError(`${what} cannot be the branch ${quoted(text)}`, {
    remedy: `Name a branch such as \`develop\`: ${branchRule}.`,
  });
}
