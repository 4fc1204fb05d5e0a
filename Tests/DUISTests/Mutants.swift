import Wire

/// Requests with one thing wrong, or not quite: what our own writer has written, changed in one
/// place each.
struct Mutants {
    private(set) var all: [[UInt8]] = []

    private static let values = [
        "", " ", "0", "1", "-1", "+1", "01", "8", "9", "10", "3601", "x",
        "00-DB-12-34-56-78-90-A0", "00-db-12-34-56-78-90-a0", "00-DB-12-34-56-78-90-A",
        " 00-DB-12-34-56-78-90-A0\n", "00DB1234567890A0", "AAAA", "AAA=", "AAE=", "AAB=",
        "2030-01-15T09:00:00Z", "2030-02-30T09:00:00Z", "2030-01-15T09:00:00.5+01:00",
        String(repeating: "A", count: 32), String(repeating: "aB", count: 32),
        String(repeating: "C", count: 13), String(repeating: "é", count: 30),
        String(repeating: "é", count: 31), "123456789012", "1234567890123", "ESME", "esme",
        "Pending", "Commissioned", "Add", "Remove", "AD", "11.1", "11.3", "true",
        "00-DB-12-34-56-78-90-A0,00-DB-12-34-56-78-90-A0", "00-DB-12-34-56-78-90-A0,",
    ]

    init(of text: String, seed: Seed) {
        let count = Element(text).all.count
        var stream = SeededStream(seed)
        func mutate(_ index: Int, _ change: (Element, Element) -> Void) {
            let root = Element(text)
            change(root, root.all[index])
            all.append(Array(root.text.utf8))
        }
        for index in 0..<count {
            mutate(index) { root, element in root.parent(of: element)?.remove(element) }
            mutate(index) { root, element in root.parent(of: element)?.double(element) }
            mutate(index) { root, element in root.parent(of: element)?.swap(element) }
            mutate(index) { _, element in element.name = "sr:Other" }
            mutate(index) { _, element in element.name = "sr:DeviceID" }
            mutate(index) { _, element in element.attributes += " a='1'" }
            mutate(index) { _, element in
                element.children.insert(Element(name: "sr:FirmwareVersion", content: "1"), at: 0)
            }
            for value in Self.values where stream.below(3) == 0 {
                mutate(index) { _, element in
                    element.content = value
                    element.children = []
                }
            }
        }
    }
}

/// An element of a document without comments and mixed content.
private final class Element {
    var name: String
    var attributes = ""
    var content = ""
    var children: [Element] = []

    init(name: String, content: String) {
        self.name = name
        self.content = content
    }

    init(_ text: String) {
        name = ""
        var open: [Element] = [self]
        var end = text.startIndex
        for tag in text.matches(of: #/<(/?)([\w:]+)([^>]*?)(/?)>/#) {
            let between = text[end..<tag.range.lowerBound]
            end = tag.range.upperBound
            guard tag.output.1.isEmpty else {
                let closed = open.removeLast()
                if closed.children.isEmpty { closed.content = String(between) }
                continue
            }
            let made = Element(name: String(tag.output.2), content: "")
            made.attributes = String(tag.output.3)
            open.last?.children.append(made)
            if tag.output.4.isEmpty { open.append(made) }
        }
        if let root = children.first {
            (name, attributes, content) = (root.name, root.attributes, root.content)
            children = root.children
        }
    }

    /// It and all below it.
    var all: [Element] { [self] + children.flatMap(\.all) }

    func parent(of element: Element) -> Element? {
        all.first { $0.children.contains { $0 === element } }
    }

    private func place(of element: Element) -> Int? { children.firstIndex { $0 === element } }

    func remove(_ element: Element) { children.removeAll { $0 === element } }

    func double(_ element: Element) {
        if let place = place(of: element) { children.insert(element, at: place) }
    }

    func swap(_ element: Element) {
        guard let place = place(of: element), place + 1 < children.count else { return }
        children.swapAt(place, place + 1)
    }

    var text: String {
        "<\(name)\(attributes)>" + content + children.map(\.text).joined() + "</\(name)>"
    }
}
