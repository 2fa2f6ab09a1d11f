package idiom_test

// jsonDumps are texts, and what Python 3's json.dumps makes of them.
var jsonDumps = []struct{ text, want string }{
	{"Hello", `"Hello"`},
	{"! I'm", `"! I'm"`},
	{"\n\n\u2022", `"\n\n\u2022"`},
	{"\"quoted\" \\ back", `"\"quoted\" \\ back"`},
	{"tab\tcr\rbs\bff\f", `"tab\tcr\rbs\bff\f"`},
	{"<&>", `"<&>"`},
	{"😀 emoji 𝒳", `"\ud83d\ude00 emoji \ud835\udcb3"`},
	{"\u00e9\u65e5\u672c", `"\u00e9\u65e5\u672c"`},
	{"\u0000\u001f\u007f\u0080\u2028\ufeff", `"\u0000\u001f\u007f\u0080\u2028\ufeff"`},
	{"", `""`},
	{"/slash/", `"/slash/"`},
	{"a\ud7ffb\ue000", `"a\ud7ffb\ue000"`},
}
