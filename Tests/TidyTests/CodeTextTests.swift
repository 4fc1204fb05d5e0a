import Testing

@Test("comments and string literals are not code, what is interpolated is")
func codeText() {
    let source = ##"""
        let a = "Task \(Date(named: "Foundation")) print" // async
        /* Task /* nested */ Task */ let b = #"raw \(Task) "quoted" \#(real)"#
        let c = "quote \" Task"; let d = 1
        let e = """
            Task "
            \(inner)
            """
        #if os(Linux)
        """##
    let words = CodeText(of: source).words
    #expect(
        words.map(\.text)
            == ["let", "a", "Date", "named", "let", "b", "real"]
            + ["let", "c", "let", "d", "1", "let", "e", "inner", "if", "os", "Linux"])
    #expect(words.first { $0.text == "inner" }?.line == 6)
    #expect(words.first { $0.text == "named" }?.before == "(")
    #expect(words.first { $0.text == "named" }?.after == ":")
}

@Test("an unfinished comment, string or interpolation ends with the file")
func unfinishedCode() {
    for source in ["/* a", "\"a", "\"\"\"a", "\"\\(a", "#\"a\\#(", "\\", "#", "\"\\"] {
        #expect(CodeText(of: source).code.count == source.count)
    }
}
