package doctor_test

import "testing"

func TestJSONStyles(t *testing.T) {
	const compact = `{"b":1,"a":[1,{"c":null}],"e":{},"f":[]}`
	check(t, []want{
		{name: "Python", in: signedBody(compact, `{"b": 1, "a": [1, {"c": null}], "e": {}, "f": []}`), cause: "body.json_reserialized", says: "blanks after colons and commas"},
		{name: "IndentedBy2", in: signedBody(compact, "{\n  \"b\": 1,\n  \"a\": [\n    1,\n    {\n      \"c\": null\n    }\n  ],\n  \"e\": {},\n  \"f\": []\n}"), cause: "body.json_reserialized", says: "indented by 2"},
		{name: "IndentedByTabWithCRLF", in: signedBody(`{"a":1}`, "{\r\n\t\"a\": 1\r\n}"), cause: "body.json_reserialized"},
		{name: "Jackson", in: signedBody(compact, "{\n  \"b\" : 1,\n  \"a\" : [ 1, {\n    \"c\" : null\n  } ],\n  \"e\" : { },\n  \"f\" : [ ]\n}"), cause: "body.json_reserialized", says: "Jackson"},
		{name: "Python2BlanksAtLineEnds", in: signedBody(`{"a":1,"b":2}`, "{\n  \"a\": 1, \n  \"b\": 2\n}"), cause: "body.json_reserialized"},
		{name: "Sorted", in: signedBody(`{"b":1,"a":{"d":1,"c":2}}`, `{"a":{"c":2,"d":1},"b":1}`), cause: "body.json_reserialized", says: "another order"},
		{name: "DatabaseOrder", in: signedBody(`{"bbb":1,"aa":2}`, `{"aa": 2, "bbb": 1}`), cause: "body.json_reserialized"},
		{name: "IntegerNamesFirst", in: signedBody(`{"x":1,"10":2,"9":3}`, `{"9":3,"10":2,"x":1}`), cause: "body.json_reserialized"},
		{name: "EmptyObjectAsArray", in: signedBody(`{"a":{}}`, `{"a":[]}`), cause: "body.json_reserialized", says: "[] for empty objects"},
		{name: "NullsLeftOut", in: signedBody(`{"a":null,"b":1}`, `{"b":1}`), cause: "body.json_reserialized"},
		{name: "DuplicateMember", in: signedBody(`{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`), cause: "body.json_reserialized"},
		{name: "MarkAndCompact", in: signedBody("\ufeff{ \"a\": 1 }", `{"a":1}`), cause: "body.json_reserialized"},
		{name: "PrettyAndLineFeed", in: signedBody(`{"a":1}`, "{\n  \"a\": 1\n}\n"), cause: "body.json_reserialized", says: "line feed at the end"},
		{name: "OrderLost", in: signedBody(`{"a":1,"b":2,"c":3}`, `{"b":2,"c":3,"a":1}`), cause: ""},
	})
}

func TestJSONEscapes(t *testing.T) {
	check(t, []want{
		{name: "ASCII", in: signedBody(`{"a":"é"}`, `{"a":"\u00e9"}`), cause: "body.json_escaping"},
		{name: "ASCIIUpper", in: signedBody(`{"a":"é"}`, `{"a":"\u00E9"}`), cause: "body.json_escaping"},
		{name: "Surrogates", in: signedBody(`{"a":"😀"}`, `{"a":"\ud83d\ude00"}`), cause: "body.json_escaping"},
		{name: "Unescaped", in: signedBody(`{"a":"\u00e9"}`, `{"a":"é"}`), cause: "body.json_escaping"},
		{name: "Slash", in: signedBody(`{"a":"b/c"}`, `{"a":"b\/c"}`), cause: "body.json_escaping"},
		{name: "Closer", in: signedBody(`{"a":"</b>/"}`, `{"a":"<\/b>/"}`), cause: "body.json_escaping"},
		{name: "HTML", in: signedBody(`{"a":"<&>"}`, `{"a":"\u003c\u0026\u003e"}`), cause: "body.json_escaping"},
		{name: "HTMLUpper", in: signedBody(`{"a":"<&>"}`, `{"a":"\u003C\u0026\u003E"}`), cause: "body.json_escaping"},
		{name: "Gson", in: signedBody(`{"a":"x='1'"}`, `{"a":"x\u003d\u00271\u0027"}`), cause: "body.json_escaping"},
		{name: "Net", in: signedBody(`{"a":"é+\"b\""}`, `{"a":"\u00E9\u002B\u0022b\u0022"}`), cause: "body.json_escaping"},
		{name: "PHPHex", in: signedBody(`{"a":"<é/"}`, `{"a":"\u003C\u00e9\/"}`), cause: "body.json_escaping"},
		{name: "PHPIndented", in: signedBody(`{"a":"é/"}`, "{\n    \"a\": \"\\u00e9\\/\"\n}"), cause: "body.json_reserialized"},
	})
}

func TestJSONNumbers(t *testing.T) {
	check(t, []want{
		{name: "JavaScriptShortens", in: signedBody(`{"a":136.0,"b":1.50}`, `{"a":136,"b":1.5}`), cause: "body.json_number"},
		{name: "Floats", in: signedBody(`{"a":136}`, `{"a":136.0}`), cause: "body.json_number"},
		{name: "JavaExponent", in: signedBody(`{"a":1760000000}`, `{"a":1.76E9}`), cause: "body.json_number"},
		{name: "JavaWholeExponent", in: signedBody(`{"a":10000000}`, `{"a":1.0E7}`), cause: "body.json_number"},
		{name: "PythonFloat", in: signedBody(`{"a":1e5,"b":2}`, `{"a":100000.0,"b":2}`), cause: "body.json_number"},
		{name: "PythonSmall", in: signedBody(`{"a":0.00001}`, `{"a":1e-05}`), cause: "body.json_number"},
		{name: "JavaScriptSmall", in: signedBody(`{"a":0.0000001}`, `{"a":1e-7}`), cause: "body.json_number"},
		{name: "Above2To53", in: signedBody(`{"a":9007199254740993}`, `{"a":9007199254740992}`), cause: "body.json_number"},
		{name: "DigitsLost", in: signedBody(`{"a":9007199254740992}`, `{"a":9007199254740993}`), cause: ""},
	})
}

func TestParts(t *testing.T) {
	const doc = `{"event":"x","data":{"b":[1,2],"a":"é"},"text":"{\"q\":1}"}`
	check(t, []want{
		{name: "Member", in: signedBody(doc, `{"b":[1,2],"a":"é"}`), cause: "body.partial", says: "/data", danger: true},
		{name: "MemberAsPython", in: signedBody(doc, `{"b": [1, 2], "a": "\u00e9"}`), cause: "body.partial", danger: true},
		{name: "Element", in: signedBody(doc, `[1,2]`), cause: "body.partial", says: "/data/b", danger: true},
		{name: "JSONInString", in: signedBody(doc, `{"q":1}`), cause: "body.partial", says: "/text", danger: true},
		{name: "WithoutMember", in: signedBody(`{"a":1,"sig":"z"}`, `{"a":1}`), cause: "body.partial", danger: true},
		{name: "StringTrimmed", in: signedBody(`{"a":"x","b":1}`, `{"a":"x ","b":1}`), cause: "body.params_trimmed"},
	})
}

func TestTextForms(t *testing.T) {
	const doc = `{"a":true,"b":null,"c":["x",1.5],"d":"it's"}`
	check(t, []want{
		{name: "PythonDict", in: signedBody(doc, `{'a': True, 'b': None, 'c': ['x', 1.5], 'd': "it's"}`), cause: "body.str_repr", says: "Python"},
		{name: "PythonBytes", in: signedBody(`{"a":1}`, `b'{"a":1}'`), cause: "body.str_repr", says: "Python"},
		{name: "PythonBytesEscaped", in: signedBody("{\"a\":\"é\"}\n", `b'{"a":"\xc3\xa9"}\n'`), cause: "body.str_repr"},
		{name: "Ruby", in: signedBody(doc, `{"a"=>true, "b"=>nil, "c"=>["x", 1.5], "d"=>"it's"}`), cause: "body.str_repr", says: "Ruby"},
		{name: "Java", in: signedBody(doc, `{a=true, b=null, c=[x, 1.5], d=it's}`), cause: "body.str_repr", says: "Java"},
		{name: "Go", in: signedBody(doc, `map[a:true b:<nil> c:[x 1.5] d:it's]`), cause: "body.str_repr", says: "Go"},
		{name: "JSONString", in: signedBody(`{"a":"<"}`, `"{\"a\":\"<\"}"`), cause: "body.str_repr"},
		{name: "JavaScriptObject", in: signedBody(`{"a":1}`, `[object Object]`), cause: "body.str_repr", danger: true},
	})
}

// TestDeepJSON tests that nesting is bounded.
func TestDeepJSON(t *testing.T) {
	deep := repeat("[", 5000) + repeat("]", 5000)
	in := signedBody(deep, deep+"x")
	in.MaxHypotheses = 2000
	check(t, []want{{name: "Deep", in: in}})
}
