package canon

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrNormalise means that a text has characters that [AppendNFKD] does not know.
var ErrNormalise = errors.New("cannot be normalised")

// AppendNFKD appends s in Unicode normalisation form NFKD. It knows ASCII, the
// Latin letters up to U+017F and one combining accent behind each; the standard
// library has no tables for the rest, so other characters are [ErrNormalise]
// rather than guessed.
func AppendNFKD(dst []byte, s string) ([]byte, error) {
	accent := false // the last character is a combining accent, so another one would have to be sorted
	for i, r := range s {
		text, decomposes := latin[r]
		switch {
		case decomposes:
			dst = append(dst, text...)
			last, _ := utf8.DecodeLastRuneInString(text)
			accent = isAccent(last)
		case r <= '\u017f', isAccent(r) && !accent:
			dst = utf8.AppendRune(dst, r)
			accent = isAccent(r)
		default:
			return nil, fmt.Errorf("%w: the character at byte %d is outside ASCII, Latin-1 and Latin Extended-A, or a second accent", ErrNormalise, i)
		}
	}
	return dst, nil
}

// isAccent reports whether r is a combining accent that NFKD leaves as it is.
func isAccent(r rune) bool { return '\u0300' <= r && r <= '\u033f' }

// latin holds the decompositions of U+00A0 to U+017F (Unicode Character
// Database, UnicodeData.txt; they are stable in all versions).
var latin = map[rune]string{
	'\u00a0': " ", '\u00a8': " \u0308", '\u00aa': "a", '\u00af': " \u0304", '\u00b2': "2", '\u00b3': "3",
	'\u00b4': " \u0301", '\u00b5': "\u03bc", '\u00b8': " \u0327", '\u00b9': "1", '\u00ba': "o", '\u00bc': "1\u20444",
	'\u00bd': "1\u20442", '\u00be': "3\u20444", '\u00c0': "A\u0300", '\u00c1': "A\u0301", '\u00c2': "A\u0302", '\u00c3': "A\u0303",
	'\u00c4': "A\u0308", '\u00c5': "A\u030a", '\u00c7': "C\u0327", '\u00c8': "E\u0300", '\u00c9': "E\u0301", '\u00ca': "E\u0302",
	'\u00cb': "E\u0308", '\u00cc': "I\u0300", '\u00cd': "I\u0301", '\u00ce': "I\u0302", '\u00cf': "I\u0308", '\u00d1': "N\u0303",
	'\u00d2': "O\u0300", '\u00d3': "O\u0301", '\u00d4': "O\u0302", '\u00d5': "O\u0303", '\u00d6': "O\u0308", '\u00d9': "U\u0300",
	'\u00da': "U\u0301", '\u00db': "U\u0302", '\u00dc': "U\u0308", '\u00dd': "Y\u0301", '\u00e0': "a\u0300", '\u00e1': "a\u0301",
	'\u00e2': "a\u0302", '\u00e3': "a\u0303", '\u00e4': "a\u0308", '\u00e5': "a\u030a", '\u00e7': "c\u0327", '\u00e8': "e\u0300",
	'\u00e9': "e\u0301", '\u00ea': "e\u0302", '\u00eb': "e\u0308", '\u00ec': "i\u0300", '\u00ed': "i\u0301", '\u00ee': "i\u0302",
	'\u00ef': "i\u0308", '\u00f1': "n\u0303", '\u00f2': "o\u0300", '\u00f3': "o\u0301", '\u00f4': "o\u0302", '\u00f5': "o\u0303",
	'\u00f6': "o\u0308", '\u00f9': "u\u0300", '\u00fa': "u\u0301", '\u00fb': "u\u0302", '\u00fc': "u\u0308", '\u00fd': "y\u0301",
	'\u00ff': "y\u0308", '\u0100': "A\u0304", '\u0101': "a\u0304", '\u0102': "A\u0306", '\u0103': "a\u0306", '\u0104': "A\u0328",
	'\u0105': "a\u0328", '\u0106': "C\u0301", '\u0107': "c\u0301", '\u0108': "C\u0302", '\u0109': "c\u0302", '\u010a': "C\u0307",
	'\u010b': "c\u0307", '\u010c': "C\u030c", '\u010d': "c\u030c", '\u010e': "D\u030c", '\u010f': "d\u030c", '\u0112': "E\u0304",
	'\u0113': "e\u0304", '\u0114': "E\u0306", '\u0115': "e\u0306", '\u0116': "E\u0307", '\u0117': "e\u0307", '\u0118': "E\u0328",
	'\u0119': "e\u0328", '\u011a': "E\u030c", '\u011b': "e\u030c", '\u011c': "G\u0302", '\u011d': "g\u0302", '\u011e': "G\u0306",
	'\u011f': "g\u0306", '\u0120': "G\u0307", '\u0121': "g\u0307", '\u0122': "G\u0327", '\u0123': "g\u0327", '\u0124': "H\u0302",
	'\u0125': "h\u0302", '\u0128': "I\u0303", '\u0129': "i\u0303", '\u012a': "I\u0304", '\u012b': "i\u0304", '\u012c': "I\u0306",
	'\u012d': "i\u0306", '\u012e': "I\u0328", '\u012f': "i\u0328", '\u0130': "I\u0307", '\u0132': "IJ", '\u0133': "ij",
	'\u0134': "J\u0302", '\u0135': "j\u0302", '\u0136': "K\u0327", '\u0137': "k\u0327", '\u0139': "L\u0301", '\u013a': "l\u0301",
	'\u013b': "L\u0327", '\u013c': "l\u0327", '\u013d': "L\u030c", '\u013e': "l\u030c", '\u013f': "L\u00b7", '\u0140': "l\u00b7",
	'\u0143': "N\u0301", '\u0144': "n\u0301", '\u0145': "N\u0327", '\u0146': "n\u0327", '\u0147': "N\u030c", '\u0148': "n\u030c",
	'\u0149': "\u02bcn", '\u014c': "O\u0304", '\u014d': "o\u0304", '\u014e': "O\u0306", '\u014f': "o\u0306", '\u0150': "O\u030b",
	'\u0151': "o\u030b", '\u0154': "R\u0301", '\u0155': "r\u0301", '\u0156': "R\u0327", '\u0157': "r\u0327", '\u0158': "R\u030c",
	'\u0159': "r\u030c", '\u015a': "S\u0301", '\u015b': "s\u0301", '\u015c': "S\u0302", '\u015d': "s\u0302", '\u015e': "S\u0327",
	'\u015f': "s\u0327", '\u0160': "S\u030c", '\u0161': "s\u030c", '\u0162': "T\u0327", '\u0163': "t\u0327", '\u0164': "T\u030c",
	'\u0165': "t\u030c", '\u0168': "U\u0303", '\u0169': "u\u0303", '\u016a': "U\u0304", '\u016b': "u\u0304", '\u016c': "U\u0306",
	'\u016d': "u\u0306", '\u016e': "U\u030a", '\u016f': "u\u030a", '\u0170': "U\u030b", '\u0171': "u\u030b", '\u0172': "U\u0328",
	'\u0173': "u\u0328", '\u0174': "W\u0302", '\u0175': "w\u0302", '\u0176': "Y\u0302", '\u0177': "y\u0302", '\u0178': "Y\u0308",
	'\u0179': "Z\u0301", '\u017a': "z\u0301", '\u017b': "Z\u0307", '\u017c': "z\u0307", '\u017d': "Z\u030c", '\u017e': "z\u030c",
	'\u017f': "s",
}
