import Lab
import Testing
import Wire

@Suite("Messages on their way, as a store has them")
struct MessagesUnderwayTests {
    static let some: MessagesUnderway = {
        var messages = MessagesUnderway()
        messages.entries = [
            .init(place: .device, device: EUI64(1), bytes: [0xDF, 9]),
            .init(place: .toDevice, device: EUI64(UInt64.max), bytes: []),
            .init(place: .toCSP, device: EUI64(0), bytes: Array(repeating: 7, count: 65_535)),
        ]
        return messages
    }()

    @Test("are read as they were written, in their order")
    func roundTrip() throws {
        #expect(try MessagesUnderway(parsing: Self.some.bytes) == Self.some)
        #expect(try MessagesUnderway(parsing: []).entries.isEmpty)
    }

    @Test("of which the end is missing are none, wherever it was cut off")
    func cut() throws {
        let bytes = Self.some.bytes
        let whole = [0, 13, 24, bytes.count]
        for count in Array(0..<40) + [bytes.count - 1] where !whole.contains(count) {
            #expect(throws: WireError.self, "\(count)") {
                try MessagesUnderway(parsing: Array(bytes.prefix(count)))
            }
        }
        var other = bytes
        other[13] = 4
        let error = #expect(throws: WireError.self) { try MessagesUnderway(parsing: other) }
        #expect(error == WireError(.invalid, "place", at: 13))
    }
}
