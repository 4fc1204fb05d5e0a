import Wire

/// What the stack's tables have in common: they are short, in order of arrival, and never longer
/// than a limit.
extension ContiguousArray {
    /// Appends; if there are as many as `limit`, the oldest makes room and is returned.
    @discardableResult
    mutating func push(_ element: Element, limit: Int) -> Element? {
        let oldest = count < limit ? nil : removeFirst()
        append(element)
        return oldest
    }

    /// Appends unless there are as many as `limit`; false if there are.
    mutating func append(_ element: Element, ifBelow limit: Int) -> Bool {
        guard count < limit else { return false }
        append(element)
        return true
    }

    /// Takes out the first that `isWanted`.
    mutating func take(where isWanted: (Element) -> Bool) -> Element? {
        firstIndex(where: isWanted).map { remove(at: $0) }
    }

    /// The earliest of the times that its elements have; the distant future if it is empty.
    @inline(__always)
    func earliest(_ time: (Element) -> Instant) -> Instant {
        var first = Instant.distantFuture
        for index in indices { first = Swift.min(first, time(self[index])) }
        return first
    }
}
