import type { Account } from './provider-configuration.js';

const style = `
  :root { color-scheme: light dark }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 12vh auto; padding: 0 1.5rem }
  h1 { font-size: 1.4rem }
  input, button { font: inherit; padding: .5rem .8rem; margin: .3rem 0; border-radius: .4rem; border: 1px solid #8888 }
  input { display: block; width: 100%; box-sizing: border-box }
  button { cursor: pointer }`;

/** The body is HTML already; what comes from elsewhere goes through `text`. */
function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${text(title)}</title>
<link rel="icon" href="data:,"><style>${style}</style></head>
<body><main><h1>${text(title)}</h1>${body}</main></body>
</html>`;
}

export function loginPage(loginHint: string, problem?: string): string {
  return page(
    'Sign in to Acme',
    `${problem === undefined ? '' : `<p role="alert">${text(problem)}</p>`}
    <form method="post">
      <label>E-mail <input name="login" type="email" value="${text(loginHint)}" required autofocus></label>
      <button>Sign in</button>
    </form>
    <p>This is a provider for tests and demos. There is no password.</p>`,
  );
}

export function createAccountPage(): string {
  return page(
    'Create an Acme account',
    `<form method="post">
      <label>E-mail <input name="login" type="email" value="" required autofocus></label>
      <button>Create account</button>
    </form>`,
  );
}

export function selectAccountPage(accounts: Iterable<Account>): string {
  const choices = Array.from(
    accounts,
    ({ email, name }) =>
      `<p><button name="login" value="${text(email)}">${text(name)}, ${text(email)}</button></p>`,
  );
  return page('Choose an account', `<form method="post">${choices.join('')}</form>`);
}

export function consentPage(clientName: string, scope: string): string {
  const scopes = scope.split(' ').map((value) => `<li><code>${text(value)}</code></li>`);
  return page(
    `${clientName} asks for access`,
    `<ul>${scopes.join('')}</ul>
    <form method="post">
      <button name="answer" value="allow" autofocus>Allow</button>
      <button name="answer" value="deny">Deny</button>
    </form>`,
  );
}

export function signOutPage(form: string): string {
  return page(
    'Sign out of Acme?',
    form.replace('</form>', '<button name="logout" value="yes">Sign out</button></form>'),
  );
}

export function errorPage(title: string, detail = ''): string {
  return page(title, `<p>${text(detail)}</p>`);
}

function text(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
