// Whether everything that the daemon uses exists in this version of the page. Nothing is called for that.

const NEEDED = BRIDGE_NEEDS;
const there = (path) => {
  const found = attempt(() => path.split('.').reduce((owner, name) => owner[name], WPP));
  return found !== null && ['function', 'object'].includes(typeof found);
};
let beganEarly = false;  // see settle.js
const verify = () => tell('verified', { missing: NEEDED.filter((path) => !there(path)), early: beganEarly });
