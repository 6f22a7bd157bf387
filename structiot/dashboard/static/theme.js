// In head, before paint: the theme that was chosen, and that there is JavaScript.
"use strict";
(() => {
	const root = document.documentElement;
	root.classList.add("js");
	const kept = (theme) => {
		try {
			if (theme) localStorage.theme = theme;
			return localStorage.theme;
		} catch {
			return theme; // storage is forbidden: it holds for this page
		}
	};
	const show = (theme) => (root.dataset.theme = theme);
	const chosen = kept() || "system";
	show(chosen);
	addEventListener("DOMContentLoaded", () => {
		for (const radio of document.querySelectorAll('[name="theme"]')) {
			radio.checked = radio.value === chosen;
			radio.onchange = () => {
				show(kept(radio.value) || radio.value);
				document.dispatchEvent(new Event("structiot:theme"));
			};
		}
	});
})();
