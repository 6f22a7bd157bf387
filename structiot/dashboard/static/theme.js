// In head, before paint: the theme that was chosen, and that there is JavaScript.
"use strict";
(() => {
	const root = document.documentElement;
	root.classList.add("js");
	const kept = (theme) => {
		try {
			return theme ? (localStorage.theme = theme) : localStorage.theme;
		} catch {
			return theme; // storage is forbidden: it holds for this page
		}
	};
	root.dataset.theme = kept() || "system";
	addEventListener("DOMContentLoaded", () => {
		for (const radio of document.getElementsByName("theme")) {
			radio.checked = radio.value === root.dataset.theme;
			radio.onchange = () => {
				root.dataset.theme = kept(radio.value);
				globalThis.structiot?.redraw?.();
			};
		}
	});
})();
