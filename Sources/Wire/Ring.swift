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
        let place = head + filled < limit ? head + filled : head + filled - limit
        if place < elements.count {
            elements[place] = element
        } else {
            elements.append(element)
        }
        filled += 1
        return true
    }

    /// The one that has waited longest; there must be one.
    @inlinable
    public var first: Element {
        precondition(filled > 0)
        return elements[head]
    }

    /// Takes `first` away.
    @inlinable
    public mutating func removeFirst() {
        precondition(filled > 0)
        head = head + 1 < limit ? head + 1 : 0
        filled -= 1
    }

    @inlinable
    public mutating func removeAll() { filled = 0 }
}
