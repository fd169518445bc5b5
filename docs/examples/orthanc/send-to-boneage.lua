-- Forwards each radiograph that arrives to the node. Its results come back by C-STORE from BONEAGE
-- and are not forwarded again.
function OnStoredInstance(instanceId, tags, metadata, origin)
   local modality = tags["Modality"]
   if origin["RequestOrigin"] == "DicomProtocol" and origin["RemoteAet"] == "BONEAGE" then
      return
   end
   if modality == "CR" or modality == "DX" then
      SendToModality(instanceId, "boneage")
   end
end
