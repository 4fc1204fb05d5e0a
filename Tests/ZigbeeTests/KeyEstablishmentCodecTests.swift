import Crypto
import Testing
import Wire
import Zigbee

@Suite("Layouts of Key Establishment")
struct KeyEstablishmentCodecTests {
    static func bytes(_ range: ClosedRange<UInt8>) -> [UInt8] { Array(range) }

    static let cases: [(command: KeyEstablishmentCommand, identifier: UInt8, hex: String)] = [
        (
            .initiate(
                InitiateKeyEstablishment(
                    suites: KeyEstablishmentSuites(.two), ephemeralDataTime: 10,
                    confirmKeyTime: 20, certificate: bytes(1...74))), 0,
            "02000a14" + Hex.string(bytes(1...74))
        ),
        (
            .initiate(
                InitiateKeyEstablishment(
                    suites: KeyEstablishmentSuites(.one), ephemeralDataTime: 3,
                    confirmKeyTime: 4, certificate: bytes(1...48))), 0,
            "01000304" + Hex.string(bytes(1...48))
        ),
        (.ephemeralData(bytes(1...22)), 1, Hex.string(bytes(1...22))),
        (.ephemeralData(bytes(1...37)), 1, Hex.string(bytes(1...37))),
        (.confirmKey(Key128(bytes(1...16))!), 2, Hex.string(bytes(1...16))),
        (
            .terminate(
                TerminateKeyEstablishment(
                    status: .unknownIssuer, waitTime: 30, suites: KeyEstablishmentSuites(.two))),
            3, "011e0200"
        ),
    ]

    static func parse(_ identifier: UInt8, _ bytes: [UInt8]) throws -> KeyEstablishmentCommand? {
        var reader = ByteReader(bytes.span)
        return try KeyEstablishmentCommand(identifier, parsing: &reader)
    }

    @Test("every command has its exact bytes, and is read back from them")
    func exact() throws {
        for (command, identifier, hex) in Self.cases {
            var frame = FrameBuffer()
            command.encode(into: &frame)
            #expect(Hex.string(frame.bytes) == hex)
            #expect(command.identifier == identifier)
            #expect(try Self.parse(identifier, frame.bytes) == command)
        }
    }

    @Test("a command cut short anywhere, or with more behind it, is an error that says where")
    func truncated() throws {
        for (command, identifier, hex) in Self.cases {
            let bytes = try #require(Hex.bytes(hex))
            for count in bytes.indices {
                // The shorter of two points is what is left of the longer one.
                if case .ephemeralData = command, count == 22 { continue }
                #expect {
                    try Self.parse(identifier, Array(bytes.prefix(count)))
                } throws: { error in
                    guard let error = error as? WireError else { return false }
                    return error.offset <= count
                }
            }
            #expect(throws: WireError.self) { try Self.parse(identifier, bytes + [0]) }
        }
    }

    @Test("a suite that nobody knows keeps its certificate, and a status without a name its code")
    func unknown() throws {
        let initiate = try Self.parse(0, [0x04, 0, 1, 2, 9, 8, 7])
        guard case .initiate(let command)? = initiate else {
            Issue.record("not an Initiate")
            return
        }
        #expect(command.suites.suite == nil && command.certificate == [9, 8, 7])
        let terminate = try Self.parse(3, [0xAA, 1, 2, 0])
        guard case .terminate(let end)? = terminate else {
            Issue.record("not a Terminate")
            return
        }
        #expect(end.status.rawValue == 0xAA)
        #expect(try Self.parse(4, []) == nil)
    }

    @Test("both suites at once are none that a key can be established with")
    func both() {
        let both: KeyEstablishmentSuites = [
            KeyEstablishmentSuites(.one), KeyEstablishmentSuites(.two),
        ]
        #expect(both.rawValue == 3 && both.suite == nil)
        #expect(KeyEstablishmentSuites(.one).suite == .one)
    }

    @Test("an Initiate of suite 2 is a ZCL frame of 81 bytes, which a MAC frame has room for")
    func room() throws {
        let frame = Self.cases[0].command.frame(fromServer: true, sequence: 5)
        #expect(frame.count == 81)
        #expect(Array(frame.bytes.prefix(3)) == [0x19, 5, 0])
        // MAC 9 + 2, NWK 8, its security 14 + 4, APS 8.
        #expect(frame.count + 45 == 126)
    }
}
