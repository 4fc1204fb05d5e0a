import Wire

/// The Basic cluster as every device here serves it (ZCL 3.2): what can be read, and the one
/// attribute that can be written.
public struct ZCLBasic: Sendable {
    public static let zclVersion: UInt16 = 0x0000
    public static let powerSource: UInt16 = 0x0007
    public static let physicalEnvironment: UInt16 = 0x0011

    public var isMainsPowered: Bool
    /// Where the device stands (ZCL 3.2.2.2.12), as somebody wrote it; 0 for unspecified. It is
    /// kept until the next restart.
    public private(set) var environment: UInt8 = 0

    public init(isMainsPowered: Bool) { self.isMainsPowered = isMainsPowered }

    /// An attribute as it is now, or nil.
    public func attribute(_ identifier: UInt16) -> ZCLAttribute? {
        switch identifier {
        // ZCLVersion: 3 for ZCL 6 and later revisions of it.
        case Self.zclVersion: ZCLAttribute(identifier, .uint8, 3)
        // PowerSource: single-phase mains or battery.
        case Self.powerSource: ZCLAttribute(identifier, .enum8, isMainsPowered ? 1 : 3)
        case Self.physicalEnvironment:
            ZCLAttribute(identifier, .enum8, UInt64(environment), isWritable: true)
        default: nil
        }
    }

    /// Answers a whole message to the cluster; nil where no answer is due.
    public mutating func answer(_ zcl: ZCLMessage) -> FrameBuffer? {
        var written: UInt8?
        let now = self
        let answer = ZCLGeneral.answerAsServer(
            zcl, of: .basic,
            write: { attribute, isRehearsal in
                // 0x80 and above are left to application profiles, which name none.
                guard attribute.value < 0x80 else { return .invalidValue }
                if !isRehearsal { written = UInt8(attribute.value) }
                return .success
            }, attributes: { now.attribute($0) })
        if let written { environment = written }
        return answer
    }
}
