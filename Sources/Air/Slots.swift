/// A fixed number of elements that are only ever changed where they lie. An array would ask at
/// every change whether somebody else holds a copy, dozens of times a frame.
struct Slots<Element>: ~Copyable {
    let count: Int
    private let base: UnsafeMutablePointer<Element>

    init(repeating element: Element, count: Int) {
        self.count = count
        base = .allocate(capacity: count)
        base.initialize(repeating: element, count: count)
    }

    deinit {
        base.deinitialize(count: count)
        base.deallocate()
    }

    var indices: Range<Int> { 0..<count }

    subscript(index: Int) -> Element {
        _read {
            precondition(indices.contains(index))
            yield base[index]
        }
        nonmutating _modify {
            precondition(indices.contains(index))
            yield &base[index]
        }
    }
}
