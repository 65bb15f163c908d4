// The page's pure modules, as they are before they are bundled.

const PAGE = new URL("../../../page/", import.meta.url);

export const load = (name) => import(new URL(name, PAGE));
