/// A bounded queue in memory of its own, first in, first out: what goes through it is copied in
/// once and out once, and nothing else moves.
public struct Ring<Element>: Sendable where Element: Sendable {
    @usableFromInline var elements: ContiguousArray<Element>
    @usableFromInline var head = 0
    public let limit: Int
    /// How many are waiting.
    @usableFromInline var filled = 0

    @inlinable
    public init(limit: Int) {
        self.limit = limit
        elements = []
        elements.reserveCapacity(limit)
    }

    @inlinable
    public var count: Int { filled }
    @inlinable
    public var isEmpty: Bool { filled == 0 }
    @inlinable
    public var isFull: Bool { filled == limit }

    /// False, and nothing is kept, if it is full.
    @inlinable
    public mutating func append(_ element: Element) -> Bool {
        guard filled < limit else { return false }
        // A queue that runs empty every time begins at the front again and stays in the cache.
        if filled == 0 { head = 0 }
        let end = place(filled)
        if end < elements.count {
            elements[end] = element
        } else {
            elements.append(element)
        }
        filled += 1
        return true
    }

    /// The one that has waited longest; there must be one.
    @inlinable
    public var first: Element {
        _read {
            precondition(filled > 0)
            yield elements[head]
        }
    }

    /// Takes `first` away.
    @inlinable
    public mutating func removeFirst() {
        precondition(filled > 0)
        head = head + 1 < limit ? head + 1 : 0
        filled -= 1
    }

    /// How many wait before the first that is meant.
    public func firstIndex(where isMeant: (Element) -> Bool) -> Int? {
        (0..<filled).first { isMeant(elements[place($0)]) }
    }

    /// Takes out the one before which `index` others wait.
    public mutating func remove(at index: Int) -> Element {
        precondition(index >= 0 && index < filled)
        let element = elements[place(index)]
        for later in index + 1..<max(index + 1, filled) {
            elements[place(later - 1)] = elements[place(later)]
        }
        filled -= 1
        return element
    }

    @inlinable
    func place(_ index: Int) -> Int {
        head + index < limit ? head + index : head + index - limit
    }
}
