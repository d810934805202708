// Whether a page is laid out as a person needs it, and readable without colour.

// Nothing makes the page itself scroll sideways; what is wide scrolls in itself.
export async function wide(page) {
  return page.evaluate(() => {
    const { clientWidth, scrollWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const beyond = [...document.body.querySelectorAll('*')].filter((one) => {
      if (one.getBoundingClientRect().right <= clientWidth + 1) return false;
      for (let up = one.parentElement; up; up = up.parentElement) {
        if (getComputedStyle(up).overflowX !== 'visible') return false;
      }
      return true;
    });
    return [`${scrollWidth} px wide in ${clientWidth}: ${beyond.slice(0, 3).map((one) => one.outerHTML.slice(0, 150)).join(' | ')}`];
  });
}

// Each place of the navigation is seen whole, without scrolling it.
export async function cutPlaces(page) {
  return page.evaluate(() => {
    const bar = document.querySelector('.top nav').getBoundingClientRect();
    const places = [...document.querySelectorAll('.top nav a')];
    return places
      .filter((one) => {
        const { left, right, bottom } = one.getBoundingClientRect();
        return left < bar.left || right > Math.min(bar.right, innerWidth) || bottom > bar.bottom;
      })
      .map((one) => `the navigation cuts ${one.textContent}`);
  });
}

// Each state has a word that is seen: none is told by colour or shape alone.
export async function wordless(page) {
  return page.evaluate(() => {
    const states = [...document.querySelectorAll('.status, .severity, .node')];
    return states
      .filter((one) => !/\p{L}{3}/u.test(one.textContent ?? ''))
      .map((one) => `no word: ${one.outerHTML.slice(0, 200)}`);
  });
}
