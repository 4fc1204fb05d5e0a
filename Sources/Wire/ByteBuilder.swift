/// Appends little-endian fields to a growing array: for what goes to flash, off the frame path.
public struct ByteBuilder {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// Begins anew in the memory it has.
    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// The low `count` bytes of `value`.
    public mutating func put(_ value: UInt64, _ count: Int) {
        for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }

    public mutating func put(_ key: Key128) { for index in 0..<16 { bytes.append(key[index]) } }
    public mutating func put(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }
}
