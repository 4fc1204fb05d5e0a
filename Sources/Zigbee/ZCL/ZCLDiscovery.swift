import Wire

/// Discover Attributes, Discover Attributes Extended, Discover Commands Received and Generated
/// (ZCL 2.5.13, 2.5.18-2.5.23). A response begins with whether it lists everything there is from
/// where the request wanted it to begin.
extension ZCLGeneral {
    /// Request: {first attribute u16, the most attributes u8}. Response: {attribute u16, data type
    /// u8}, in the extended form followed by what may be done with it: bit 0 read, 1 write, 2
    /// report.
    static func answerDiscover(
        _ zcl: ZCLMessage, _ served: ZCLServed, _ attributes: (UInt16) -> ZCLAttribute?,
        isExtended: Bool
    ) throws(WireError) -> FrameBuffer {
        var reader = ByteReader(zcl.body)
        let first = try reader.u16("start attribute")
        let most = Int(try reader.u8("maximum attributes"))
        var frame = begin(zcl, zcl.header.command + 1)
        let flag = frame.count
        frame.append(1 as UInt8)
        var count = 0
        guard first <= served.identifiers.upperBound else { return frame }
        for identifier in max(first, served.identifiers.lowerBound)...served.identifiers.upperBound
        {
            guard let attribute = attributes(identifier) else { continue }
            guard count < most, frame.count + (isExtended ? 4 : 3) <= frameLimit else {
                frame[flag] = 0
                break
            }
            count += 1
            frame.append(identifier)
            frame.append(attribute.type.rawValue)
            if isExtended { frame.append((attribute.isWritable ? 3 : 1) as UInt8) }
        }
        return frame
    }

    /// Request: {first command u8, the most commands u8}. Response: command numbers.
    static func answerDiscover(
        _ zcl: ZCLMessage, _ commands: [UInt8]
    ) throws(WireError) -> FrameBuffer {
        var reader = ByteReader(zcl.body)
        let first = try reader.u8("start command")
        let most = Int(try reader.u8("maximum commands"))
        var frame = begin(zcl, zcl.header.command + 1)
        let flag = frame.count
        frame.append(1 as UInt8)
        var count = 0
        for command in commands where command >= first {
            guard count < most, frame.count < frameLimit else {
                frame[flag] = 0
                break
            }
            count += 1
            frame.append(command)
        }
        return frame
    }
}
