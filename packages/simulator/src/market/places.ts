/** What the simulated properties are called. Names, addresses and non-ASCII letters as a real market has them. */

export interface Place {
  readonly name: string;
  readonly address: string;
  readonly type: string;
  readonly symbol: string;
}

export const places: readonly Place[] = [
  place("Résidence Élysée", "12 Avenue Montaigne, 75008 Paris, France", "residential", "ELYS"),
  place("Zürich Lofts", "Hardturmstrasse 181, 8005 Zürich, Switzerland", "residential", "ZRHL"),
  place("Brooklyn Heights Brownstone", "87 Remsen Street, Brooklyn, NY 11201, USA", "residential", "BKHT"),
  place("Canary Wharf Offices", "25 Bank Street, London E14 5JP, United Kingdom", "commercial", "CWOF"),
  place("Quinta São João", "Rua de São João 44, 4050-552 Porto, Portugal", "hospitality", "QSJO"),
  place("Hafenkontor Hamburg", "Am Sandtorkai 50, 20457 Hamburg, Germany", "commercial", "HFKH"),
  place("Miami Bayfront Tower", "300 Biscayne Boulevard, Miami, FL 33131, USA", "residential", "MIAB"),
  place("Malmö Västra Hamnen", "Östra Varvsgatan 11, 211 75 Malmö, Sweden", "residential", "MLMO"),
  place("Torre Diagonal Mar", "Carrer de Josep Pla 2, 08019 Barcelona, Spain", "commercial", "TDGM"),
  place("Kraków Stare Miasto", "ulica Święty Jana 7, 31-017 Kraków, Poland", "hospitality", "KRKS"),
  place("Austin Domain Flats", "11600 Century Oaks Terrace, Austin, TX 78758, USA", "residential", "ATXD"),
  place("東京ガーデンテラス", "東京都千代田区紀尾井町1-3, Japan", "mixed_use", "TKYG"),
  place(
    "Jardins de Montréal",
    "1200 avenue McGill College, Montréal, QC H3B 4G7, Canada",
    "mixed_use",
    "JMTL",
  ),
  place("Dubai Marina Residences", "Al Marsa Street, Dubai Marina, Dubai, UAE", "residential", "DXBM"),
  place("Logistikpark Straße der Einheit", "Industriestraße 9, 04158 Leipzig, Germany", "industrial", "LGPS"),
  place("Harbour View Sydney", "1 Macquarie Street, Sydney NSW 2000, Australia", "residential", "HVSY"),
  place("Pražská Tržnice", "Bubenské nábřeží 306/13, 170 00 Praha 7, Czechia", "retail", "PRZT"),
  place("Denver Union Lofts", "1600 Wynkoop Street, Denver, CO 80202, USA", "residential", "DENU"),
  place("Palazzo Santa Lucia", "Via Santa Lucia 62, 80132 Napoli, Italy", "hospitality", "PSLU"),
  place("Łódź Manufaktura Offices", "ulica Drewnowska 58, 91-002 Łódź, Poland", "commercial", "LODZ"),
  place('O\'Connell "Corner" House', "41 O'Connell Street Upper, Dublin 1, Ireland", "retail", "OCCH"),
  place("Reykjavík Höfði Suites", "Borgartún 8, 105 Reykjavík, Iceland", "hospitality", "RKVK"),
  place("Singapore Orchard Retail", "391 Orchard Road, Singapore 238872", "retail", "SGOR"),
  place("Ciudad de México Reforma", "Paseo de la Reforma 222, 06600 CDMX, México", "mixed_use", "CMXR"),
  place("Copenhagen Ørestad Homes", "Ørestads Boulevard 73, 2300 København, Denmark", "residential", "CPHO"),
  place("Seattle Lake Union Labs", "400 Fairview Avenue North, Seattle, WA 98109, USA", "commercial", "SLUL"),
];

function place(name: string, address: string, type: string, symbol: string): Place {
  return { name, address, type, symbol };
}

/** The `n`-th of an endless row of places, counted from 0: every known one, then all again as II, III, and so on. */
export function placeOf(n: number, known: readonly Place[]): Place {
  const found = known[n % known.length];
  if (found === undefined) throw new RangeError("no places are known");
  const round = Math.floor(n / known.length) + 1;
  if (round === 1) return found;
  return { ...found, name: `${found.name} ${roman(round)}`, symbol: `${found.symbol}${round}` };
}

function roman(value: number): string {
  const signs: readonly (readonly [number, string])[] = [
    [1000, "M"],
    [900, "CM"],
    [500, "D"],
    [400, "CD"],
    [100, "C"],
    [90, "XC"],
    [50, "L"],
    [40, "XL"],
    [10, "X"],
    [9, "IX"],
    [5, "V"],
    [4, "IV"],
    [1, "I"],
  ];
  let rest = value;
  let text = "";
  for (const [worth, sign] of signs) {
    text += sign.repeat(Math.floor(rest / worth));
    rest %= worth;
  }
  return text;
}
