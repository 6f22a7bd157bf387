// Figures and times as people read them: the same as structiot.model.text writes.
"use strict";
window.structiot = (() => {
	const LARGER = { W: "kW", Wh: "kWh", VA: "kVA", var: "kvar", kWh: "MWh" };
	const LARGER_FROM = { kWh: 100000 };

	function figureText(value, unit, decimals) {
		if (value === null || !Number.isFinite(value)) return "–";
		const isLarge = unit in LARGER && Math.abs(value) >= (LARGER_FROM[unit] || 1000);
		const figure = isLarge ? value / 1000 : value;
		const digits = String(Math.trunc(Math.abs(figure))).length;
		const most = Math.max(0, 4 - digits);
		let least = 0;
		let places = Math.min(2, most);
		if (isLarge) least = places = Math.max(0, 3 - digits);
		else if (decimals !== undefined) least = places = Math.min(decimals, most);
		const text = figure.toLocaleString("en-US", {
			minimumFractionDigits: least,
			maximumFractionDigits: places,
			signDisplay: "negative",
		});
		return `${text} ${(isLarge ? LARGER[unit] : unit) || ""}`.trimEnd();
	}

	function ago(atS) {
		const passed = Math.max(0, Date.now() / 1000 - structiot.clockAhead - atS);
		if (passed < 60) return `${Math.round(passed)} s ago`;
		if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
		if (passed < 86400) return `${Math.floor(passed / 3600)} h ago`;
		return `${Math.floor(passed / 86400)} d ago`;
	}

	// By how much this browser's clock is ahead of the house's.
	const madeAt = Number(document.documentElement.dataset.now);
	const clockAhead = madeAt ? Date.now() / 1000 - madeAt : 0;
	return { figureText, ago, clockAhead: Math.abs(clockAhead) < 5 ? 0 : clockAhead };
})();
