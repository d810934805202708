// Opens what the address names.
function open() {
  const named = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  const details = named && named.querySelector('details');
  if (!details) return;
  details.open = true;
  named.scrollIntoView({ block: 'nearest' });
}

addEventListener('hashchange', open);
open();
