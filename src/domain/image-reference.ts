/** The repository of `repository:tag`; a registry's port is part of it. */
export function repositoryOf(reference: string): string {
  return reference.slice(0, reference.lastIndexOf(':'));
}

export function tagOf(reference: string): string {
  return reference.slice(reference.lastIndexOf(':') + 1);
}
