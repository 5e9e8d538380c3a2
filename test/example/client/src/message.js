export const message = 'This page was built on the host from the commit that was pushed.';
