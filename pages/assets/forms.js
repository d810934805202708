// A form that was sent is not sent again by a second click; its key keeps the server from doing it twice in any case.
export function forms() {
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (form.method !== 'post') return;
    if (form.dataset.sent !== undefined) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = '';
    for (const button of form.querySelectorAll('button')) button.setAttribute('aria-disabled', 'true');
  });
  // Back from where it led: it may be sent anew.
  addEventListener('pageshow', () => {
    for (const form of document.querySelectorAll('form[data-sent]')) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll('button')) button.removeAttribute('aria-disabled');
    }
  });
}
